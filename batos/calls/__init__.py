"""One message send: lookup, the sandbox over an overlay, one transaction, retries."""
