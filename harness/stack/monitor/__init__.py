"""What is watched during a run: canaries, connections of the service, refused attempts, resources."""
