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
	for i, arg := range args {
		if strings.ContainsAny(arg, ` {}*'\`) {
			args[i] = "'" + arg + "'"
		}
	}
	fmt.Printf("$ kubectl %s\n%s\n", strings.Join(args, " "), out)
	return nil
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
