package document

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTerminal(t *testing.T) {
	svg := string(Terminal([]Line{
		{Text: "$ echo '<a>'", After: time.Second, Typed: true},
		{Text: "<a>", After: 2 * time.Second},
		{Text: "$ ", After: time.Second, Typed: true},
	}, 20, 2, time.Second))
	var parsed struct {
		Texts []string `xml:"svg>g>text"`
	}
	if err := xml.Unmarshal([]byte(svg), &parsed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"$ echo '<a>'", "<a>", "$ "}, parsed.Texts); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		"@keyframes l0{0%{opacity:0}20.00%{opacity:1}}",
		"@keyframes l1{0%{opacity:0}60.00%{opacity:1}}",
		// The third line of two scrolls.
		"@keyframes scroll{0%{transform:none}80.00%{transform:translateY(-19px)}}",
		"animation-duration:5.00s",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %s in\n%s", want, svg)
		}
	}
}
