"""Where base weights come from: a path, the cache, the hub, mirrors."""
