"""Fine-tuning by interpretability maximisation (eq. 8)."""
