"""Model cards: made of what the platform knows and what people wrote, as JSON, as a page and as Markdown."""
