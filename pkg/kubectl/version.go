package kubectl

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/version"
)

func newVersion(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the plugin's version",
		Long:  "Print the plugin's version. It works with a controller of the same version.",
		Example: `  # Print the plugin's version
  kubectl active-standby version`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(streams.Out, "Client Version: %s\n", clientVersion())
			return nil
		},
	}
}

// clientVersion is the one that the build set, or that of the module where `go install`
// set none.
func clientVersion() string {
	built := version.Get().GitVersion
	info, ok := debug.ReadBuildInfo()
	if strings.HasPrefix(built, "v0.0.0-master") && ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return built
}
