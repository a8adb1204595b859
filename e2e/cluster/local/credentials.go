package local

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// The users that the API server knows besides the ServiceAccounts. Each program
// has its own, so that the audit log tells them apart.
const (
	adminUser             = "kubernetes-admin"
	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
	kwokUser              = "kwok"
)

// Files of the state directory.
const (
	servingCertFile       = "apiserver.crt"
	servingKeyFile        = "apiserver.key"
	serviceAccountKeyFile = "service-account.key"
	tokensFile            = "tokens.csv"
)

// credentials authenticate users to the API server, and the API server to them.
type credentials struct {
	ca     []byte
	tokens map[string]string
}

// newCredentials writes the API server's keys and tokens to the state directory.
func newCredentials(dir string) (*credentials, error) {
	servingCert, servingKey, err := cert.GenerateSelfSignedCertKey(loopback, nil, []string{"localhost"})
	if err != nil {
		return nil, fmt.Errorf("make the serving certificate: %w", err)
	}
	serviceAccountKey, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return nil, fmt.Errorf("make the key of the service account tokens: %w", err)
	}

	// The bootstrap policy has roles with too few rights for kwok, and for the
	// controller manager, because its controllers share one user here.
	groups := map[string]string{
		adminUser:             "system:masters",
		controllerManagerUser: "system:masters",
		schedulerUser:         "",
		kwokUser:              "system:masters",
	}
	tokens := map[string]string{}
	lines := &strings.Builder{}
	for user, group := range groups {
		tokens[user] = rand.Text()
		fmt.Fprintf(lines, "%s,%s,%s,%s\n", tokens[user], user, user, group)
	}

	for name, data := range map[string][]byte{
		servingCertFile:       servingCert,
		servingKeyFile:        servingKey,
		serviceAccountKeyFile: serviceAccountKey,
		tokensFile:            []byte(lines.String()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	return &credentials{ca: servingCert, tokens: tokens}, nil
}

// config returns the config with which the user reaches the API server.
func (c *credentials) config(host, user string) *rest.Config {
	return &rest.Config{
		Host:            host,
		BearerToken:     c.tokens[user],
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca},
		QPS:             -1, // no limit here: the API server has its own
	}
}

// writeKubeconfig writes the config to a file that programs can read.
func writeKubeconfig(path string, config *rest.Config) error {
	const name = "local"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: config.BearerToken}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	return clientcmd.WriteToFile(*kubeconfig, path)
}
