package document

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"time"
	"unicode/utf8"
)

// Line is a line of a terminal.
type Line struct {
	Text string
	// After is the time since the line before it.
	After time.Duration
	// Typed is true of what the user types, false of what is printed.
	Typed bool
}

// Sizes of the terminal, in pixels.
const (
	fontSize  = 13
	charWidth = 7.8 // 0.6 of the size, in most fonts of one width
	lineStep  = 19
	margin    = 14
)

// Terminal draws a terminal of so many columns and rows in which the lines appear as they did, again and
// again, with a pause before it begins anew. Where users want no motion it shows the last lines.
func Terminal(lines []Line, columns, rows int, pause time.Duration) []byte {
	all := pause
	for _, l := range lines {
		all += l.After
	}
	var style, text, scroll bytes.Buffer
	now := time.Duration(0)
	for i, l := range lines {
		now += l.After
		share := 100 * float64(now) / float64(all)
		fmt.Fprintf(&style, "@keyframes l%d{0%%{opacity:0}%.2f%%{opacity:1}}#l%d{animation-name:l%d}\n", i, share, i, i)
		if i >= rows {
			fmt.Fprintf(&scroll, "%.2f%%{transform:translateY(%dpx)}", share, -lineStep*(i-rows+1))
		}
		class := "printed"
		if l.Typed {
			class = "typed"
		}
		fmt.Fprintf(&text, `<text id="l%d" class="%s" x="%d" y="%d" textLength="%.0f">`, i, class, margin, margin+lineStep*(i+1)-5, charWidth*float64(utf8.RuneCountInString(l.Text)))
		// A buffer refuses nothing.
		_ = xml.EscapeText(&text, []byte(l.Text))
		text.WriteString("</text>\n")
	}
	width, height := 2*margin+int(charWidth*float64(columns)), 2*margin+lineStep*rows
	var svg bytes.Buffer
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">
<style>
text{font:%dpx ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;white-space:pre;fill:#c9d1d9;animation:0s step-end infinite}
.typed{fill:#7ee787}
text,#scroll{animation-duration:%.2fs}
#scroll{transform:translateY(%dpx);animation-name:scroll;animation-timing-function:step-end;animation-iteration-count:infinite}
@keyframes scroll{0%%{transform:none}%s}
%s@media (prefers-reduced-motion:reduce){text,#scroll{animation:none!important}}
</style>
<rect width="100%%" height="100%%" rx="6" fill="#0d1117"/>
<svg x="0" y="%d" width="%d" height="%d" viewBox="0 %d %d %d"><g id="scroll">
%s</g></svg>
</svg>
`, width, height, width, height, fontSize, all.Seconds(), -lineStep*max(0, len(lines)-rows), scroll.String(), style.String(),
		margin, width, lineStep*rows, margin, width, lineStep*rows, text.String())
	return svg.Bytes()
}
