#!/bin/sh
# The flags are those of core/main.ts: a heap for much that lives for a moment.
exec /usr/lib/lazaret/bin/node --disable-warning=ExperimentalWarning --max-semi-space-size=8 \
	/usr/lib/lazaret/dist/core/main.js "$@"
