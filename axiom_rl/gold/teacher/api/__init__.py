"""A teacher behind a chat endpoint with OpenAI's interface."""
