"""Signers: what holds a private key and signs for the core's `Signer` port."""
