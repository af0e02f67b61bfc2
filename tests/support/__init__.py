"""What the tests share: stand-ins for models, servers on loopback, pictures of odd kinds."""
