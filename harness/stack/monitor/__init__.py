"""What is watched during a run: canaries, the service's connections, refused attempts and resources."""
