"""The local run: emulator, sandbox, the real `sam build` and `sam deploy`, and a view of what happens."""
