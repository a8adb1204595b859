package document

import (
	"fmt"
	"math"
	"strings"
)

// Nothing is in a cell without a value.
const Nothing = "–"

// Row is a line of a table.
func Row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// Head is the first two lines of a table. Its first columns hold texts, and the others
// hold numbers, which are aligned to the right.
func Head(texts int, cells ...string) string {
	var rules []string
	for i := range cells {
		rules = append(rules, "---:")
		if i < texts {
			rules[i] = "---"
		}
	}
	return Row(cells...) + Row(rules...)
}

// Duration formats milliseconds for people, such as 85 ms or 1.21 s.
func Duration(ms float64) string {
	if math.Abs(math.Round(ms)) < 1000 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f s", ms/1000)
}
