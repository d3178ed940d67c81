"""The acts, in the order they are played: each shows one thing and checks it."""
