"""How Connexion meets the network: what stock Connexion lets through or does slowly, each matter in one module."""
