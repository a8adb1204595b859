// The program kubectl-active_standby is the kubectl plugin `kubectl active-standby`.
package main

import (
	"context"
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"qoqo.dev/active-standby-controller/pkg/kubectl"
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(kubectl.Run(context.Background(), streams, os.Args[1:]))
}
