"""The networks in quicker forms, which compute the same except for rounding. The rest of the code asks `choice` for them."""
