package scenario

import (
	"fmt"
	"strconv"
	"strings"
)

// Command is a line of a transcript.
type Command struct {
	Verb string
	Args []string
}

// parseCommand splits a line at spaces, but not within quotes.
func parseCommand(line string) (Command, error) {
	var words []string
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimLeft(rest, " ") {
		end := 0
		var word strings.Builder
		for end < len(rest) && rest[end] != ' ' {
			if rest[end] != '"' {
				word.WriteByte(rest[end])
				end++
				continue
			}
			quoted, err := strconv.QuotedPrefix(rest[end:])
			if err != nil {
				return Command{}, fmt.Errorf("a quote without end: %s", rest)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return Command{}, err
			}
			word.WriteString(text)
			end += len(quoted)
		}
		words = append(words, word.String())
		rest = rest[end:]
	}
	return Command{Verb: words[0], Args: words[1:]}, nil
}

// args returns the arguments if there are as many, or at least as many if there may be more.
func (c Command) args(count int, more bool) ([]string, error) {
	if len(c.Args) < count || len(c.Args) > count && !more {
		return nil, fmt.Errorf("%d arguments, want %d", len(c.Args), count)
	}
	return c.Args, nil
}

// changes are what words like KEY=VALUE and KEY- do to a map, as merge patches have it.
func changes(words []string) (map[string]*string, error) {
	all := map[string]*string{}
	for _, word := range words {
		if key, value, found := strings.Cut(word, "="); found {
			all[key] = &value
		} else if key, found := strings.CutSuffix(word, "-"); found {
			all[key] = nil
		} else {
			return nil, fmt.Errorf("%q is neither KEY=VALUE nor KEY-", word)
		}
	}
	return all, nil
}
