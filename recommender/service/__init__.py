"""Answer the app over HTTP: released lists, and lists that are made on request by the same models."""
