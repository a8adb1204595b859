// Flux applies a manifest as the kustomize-controller of Flux does, with its library:
//
//	flux apply [--force] -f FILE    applies the objects, if a dry run shows a difference
//	flux diff -f FILE               ends with 1 if it shows a difference
//	flux delete -f FILE             deletes the objects
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/fluxcd/pkg/ssa/utils"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func main() {
	drifted, err := run(context.Background(), os.Args[1:])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "flux:", err)
		os.Exit(2)
	case drifted:
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (drifted bool, err error) {
	if len(args) == 0 {
		return false, fmt.Errorf("there are apply, diff and delete")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	file := flags.String("f", "", "the manifest")
	force := flags.Bool("force", false, "recreate objects of which a field must not change")
	kubeconfig := flags.String("kubeconfig", "", "the kubeconfig")
	namespace := flags.String("n", "default", "the namespace")
	if err := flags.Parse(args[1:]); err != nil {
		return false, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return false, err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return false, err
	}
	text, err := os.Open(*file)
	if err != nil {
		return false, err
	}
	defer func() { _ = text.Close() }()
	objects, err := utils.ReadObjects(text)
	if err != nil {
		return false, err
	}
	for _, o := range objects {
		o.SetNamespace(*namespace)
	}
	if err := normalize.UnstructuredList(objects); err != nil {
		return false, err
	}
	// The names that kustomize-controller has.
	manager := ssa.NewResourceManager(c, nil, ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
	manager.SetOwnerLabels(objects, "web", *namespace)
	switch args[0] {
	case "apply":
		options := ssa.DefaultApplyOptions()
		options.Force = *force
		// Flux takes over what kubectl has written.
		options.Cleanup.FieldManagers = []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
		}
		changes, err := manager.ApplyAll(ctx, objects, options)
		if err != nil {
			return false, err
		}
		fmt.Println(changes)
	case "delete":
		changes, err := manager.DeleteAll(ctx, objects, ssa.DefaultDeleteOptions())
		if err != nil {
			return false, err
		}
		fmt.Println(changes)
	case "diff":
		for _, o := range objects {
			change, live, merged, err := manager.Diff(ctx, o, ssa.DefaultDiffOptions())
			if err != nil {
				return false, err
			}
			if change.Action != ssa.UnchangedAction {
				drifted = true
				fmt.Printf("%s\nlive: %v\nwould be: %v\n", change, live.Object["spec"], merged.Object["spec"])
			}
		}
	default:
		return false, fmt.Errorf("there is no %q; there are apply, diff and delete", args[0])
	}
	return drifted, nil
}
