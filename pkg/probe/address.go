package probe

import "net/netip"

// Barred returns what is wrong with an address that is no pod's, such as that of this machine or
// of a cloud's metadata server; empty if a pod may have it. Who can write a pod's status must not
// have the controller ask there. The empty address is not barred.
func Barred(address string) (why string) {
	ip, err := netip.ParseAddr(address)
	switch {
	case address == "":
		return ""
	case err != nil:
		return "is not an IP address"
	case ip.Zone() != "" || ip.Is4In6():
		return "is not a plain IP address"
	case ip.IsUnspecified() || ip.Is4() && ip.As4()[0] == 0:
		return "stands for no machine"
	case ip.IsLoopback():
		return "is that of the machine itself"
	case ip.IsLinkLocalUnicast():
		return "is link-local"
	case ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is that of many machines"
	}
	return ""
}
