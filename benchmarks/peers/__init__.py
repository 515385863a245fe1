"""What a user would train the same networks with instead; scripts of environments of their own."""
