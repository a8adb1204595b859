package document

import (
	"bytes"
	"fmt"
)

const (
	generated = "<!-- generated: "
	byWhom    = ", by make update -->\n"
	end       = "<!-- end -->"
)

// Region is a generated part of a document. It stands between a comment with its name
// and an end comment.
type Region struct{ Name, Text string }

// replaceIn replaces what is between the region's comments with its text.
func (r Region) replaceIn(document []byte) ([]byte, error) {
	begin := generated + r.Name + byWhom
	before, rest, found := bytes.Cut(document, []byte(begin))
	if !found {
		return nil, fmt.Errorf("there is no line %q", begin[:len(begin)-1])
	}
	old, after, found := bytes.Cut(rest, []byte(end))
	// An end comment after the begin of another region belongs to that region.
	if !found || bytes.Contains(old, []byte(generated)) {
		return nil, fmt.Errorf("there is no line %q after %q", end, begin[:len(begin)-1])
	}
	// The empty lines keep the comments from being part of a table.
	return bytes.Join([][]byte{before, []byte(begin + "\n" + r.Text + "\n" + end), after}, nil), nil
}
