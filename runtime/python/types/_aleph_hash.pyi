"""The engine's own key derivation (engine/hash.c), named as in hashlib. For mypy only: the engine does not hold it."""

from hashlib import pbkdf2_hmac as pbkdf2_hmac, scrypt as scrypt
