package slacklocal

// Listening on loopback only: the local channel has no login.

import (
	"fmt"
	"net"
	"net/netip"
)

// ListenLocal listens on addr ("127.0.0.1:0"), which must be an IP address of
// this machine's loopback. A name is refused, also localhost: what it resolves
// to is not for this program to trust.
func ListenLocal(addr string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("local channel: address %q is not IP:port, such as 127.0.0.1:8065: %w", addr, err)
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("local channel: %s is not a loopback address; it has no login, so listen on 127.0.0.1 or [::1]", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("local channel: %w", err)
	}
	return l, nil
}
