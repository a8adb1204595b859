package kubectl

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"qoqo.dev/active-standby-controller/pkg/election"
)

// color is what a text means. While a table is put together it stands as a rune of Unicode's private use
// in the text, because the escape sequences of a terminal are escaped and would count as width.
type color rune

const (
	uncolored color = '\uE000' + iota
	asItShouldBe
	waiting
	notAsItShouldBe
)

// sequences are what terminals understand: green, yellow, red, and their end.
var sequences = map[color]string{asItShouldBe: "\x1b[32m", waiting: "\x1b[33m", notAsItShouldBe: "\x1b[31m", uncolored: "\x1b[0m"}

// Values of --color.
const (
	colorAuto   = "auto"
	colorAlways = "always"
	colorNever  = "never"
)

// addColor adds the flag --color to the command.
func (e *env) addColor(cmd *cobra.Command) {
	var when string
	cmd.Flags().StringVar(&when, "color", colorAuto, "Color the output. One of: (auto, always, never); auto does if it goes to a terminal and NO_COLOR is not set.")
	completeFlag(cmd, "color", cobra.FixedCompletions([]string{colorAuto, colorAlways, colorNever}, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		out := unescaped(e.Out)
		switch when {
		case colorAuto:
			e.colors = printers.AllowsColorOutput(out)
		case colorAlways:
			e.colors = true
		case colorNever:
		default:
			return fmt.Errorf("--color: %q is not valid; allowed: %s, %s or %s", when, colorAuto, colorAlways, colorNever)
		}
		if format := cmd.Flag("output"); format != nil && format.Value.String() != "" && format.Value.String() != wide {
			// Objects have no colors.
			e.colors = false
		}
		if e.colors {
			e.Out = escaping{coloring{out}}
		}
		return nil
	}
}

// paint returns the text in the color, if colors are wanted.
func (e *env) paint(c color, text string) string {
	if !e.colors {
		return text
	}
	return string(c) + text + string(uncolored)
}

// columns returns the columns, of which one has cells in color. Its header must have what a cell has,
// because that counts as width.
func (e *env) columns(columns []string, painted string) []string {
	columns = slices.Clone(columns)
	i := slices.Index(columns, painted)
	columns[i] = e.paint(uncolored, painted)
	return columns
}

// coloring writes colors as terminals understand them.
type coloring struct{ io.Writer }

func (c coloring) Write(p []byte) (n int, err error) {
	colored := p
	for color, sequence := range sequences {
		colored = bytes.ReplaceAll(colored, []byte(string(color)), []byte(sequence))
	}
	if _, err := c.Writer.Write(colored); err != nil {
		return 0, err
	}
	return len(p), nil
}

// colorOf returns the color of a reason, or of a word of the column STATUS.
func colorOf(reason string) color {
	switch {
	case reason == statusOk, reason == string(election.HolderEligible):
		return asItShouldBe
	case reason == statusPaused, reason == statusObserved, reason == statusPending, reason == string(election.ElectionPaused), strings.HasPrefix(reason, "Awaiting"):
		return waiting
	}
	return notAsItShouldBe
}

// color returns the color of the column STATUS: the worst of its words.
func (st status) color() (worst color) {
	for word := range strings.SplitSeq(st.word(), ",") {
		worst = max(worst, colorOf(word))
	}
	return worst
}

// nextColor returns the color of what the controller would do.
func nextColor(d election.Decision) color {
	if d.Action == election.Hold || d.Action == election.Refuse {
		return colorOf(string(d.Reason))
	}
	return waiting
}
