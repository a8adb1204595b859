package report

import (
	"bytes"
	"fmt"
)

const (
	generated = "<!-- generated: "
	byWhom    = ", by make update -->\n"
	end       = "<!-- end -->"
)

// region is a part of a document that is not written by hand. It stands between
// a comment with its name and one that says that it ends.
type region struct{ name, text string }

// replaceIn puts the region in the place of what is between its comments.
func (r region) replaceIn(document []byte) ([]byte, error) {
	begin := generated + r.name + byWhom
	before, rest, found := bytes.Cut(document, []byte(begin))
	if !found {
		return nil, fmt.Errorf("there is no line %q", begin[:len(begin)-1])
	}
	old, after, found := bytes.Cut(rest, []byte(end))
	// An end after the begin of another one is not this one's.
	if !found || bytes.Contains(old, []byte(generated)) {
		return nil, fmt.Errorf("there is no line %q after %q", end, begin[:len(begin)-1])
	}
	// The empty lines keep the comments from being part of a table.
	return bytes.Join([][]byte{before, []byte(begin + "\n" + r.text + "\n" + end), after}, nil), nil
}
