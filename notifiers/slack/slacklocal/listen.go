package slacklocal

// Listening on loopback only, for the local channel has no login; and keeping
// out what other web pages make a browser send there.

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
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

// local says whether a request names the workspace by an address of this
// machine. A name of somebody else's that resolves here is refused: their page
// would be of the same origin.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// keepOut refuses what a page of another site makes a browser send. Links to
// the pages are let through; the Web API, which takes calls by GET too, is no
// page.
func keepOut(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		foreign := site != "" && site != "same-origin" && site != "none"
		switch {
		case !local(r):
			http.Error(rw, "open the local channel by its address, such as 127.0.0.1", http.StatusForbidden)
		case protection.Check(r) != nil, foreign && strings.HasPrefix(r.URL.Path, "/api/"):
			http.Error(rw, "refused: sent by a page of another site", http.StatusForbidden)
		default:
			next.ServeHTTP(rw, r)
		}
	})
}
