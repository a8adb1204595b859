package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

func title(text string) { fmt.Printf("\n=== %s\n\n", text) }

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// show runs kubectl, and prints the command and its output as a terminal would show
// them.
func (d *demo) show(ctx context.Context, args ...string) error {
	out, err := d.installation.Kubectl(ctx, args...)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%s\n", terminal(args), out)
	return nil
}

// terminal returns how a user would have typed the command.
func terminal(args []string) string {
	line := "$ kubectl"
	for _, arg := range args {
		if strings.ContainsAny(arg, ` {}*'\`) {
			arg = "'" + arg + "'"
		}
		line += " " + arg
	}
	return line
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
