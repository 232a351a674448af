"""Files that only a load with workers on other machines leaves."""
