"""How results are stored: whole or absent, and with what made them. Decides no figure."""
