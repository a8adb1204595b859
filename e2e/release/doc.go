// Package release checks what `make release` wrote: see `make test-release`.
package release
