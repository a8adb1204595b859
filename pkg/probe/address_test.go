package probe

import "testing"

func TestBarred(t *testing.T) {
	for address, want := range map[string]string{
		"": "", "10.0.0.1": "", "192.168.1.1": "", "100.64.0.1": "", "203.0.113.7": "", "fd00::1": "", "2001:db8::1": "",
		"127.0.0.1": "is that of the machine itself", "127.1.0.3": "is that of the machine itself", "::1": "is that of the machine itself",
		"169.254.169.254": "is link-local", "fe80::1": "is link-local", "fe80::1%eth0": "is not a plain IP address",
		"::ffff:127.0.0.1": "is not a plain IP address", "::ffff:10.0.0.1": "is not a plain IP address",
		"0.0.0.0": "stands for no machine", "0.0.0.1": "stands for no machine", "::": "stands for no machine",
		"224.0.0.1": "is that of many machines", "ff02::1": "is that of many machines", "255.255.255.255": "is that of many machines",
		"kubernetes.default": "is not an IP address",
	} {
		if got := Barred(address); got != want {
			t.Errorf("%q %s, want %q", address, got, want)
		}
	}
}
