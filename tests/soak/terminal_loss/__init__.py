"""Lost terminals: how the program is shown, what it does then, and what is left of it."""
