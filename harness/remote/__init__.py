"""What both ends of a load with workers on other machines share: keys, messages, and the way that rows take."""
