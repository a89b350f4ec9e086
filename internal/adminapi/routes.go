package adminapi

import (
	"reflect"
	"slices"
	"strings"
)

// route is one line of the table.
type route struct {
	method  string
	path    string // ServeMux pattern; served with and without a closing slash
	access  access
	handle  func(*call) (any, error)
	summary string
	in, out reflect.Type // body and data, nil for none
	query   []string     // names of query parameters

	needs        []string // members of the body without which this call is refused
	bodyOptional bool     // the call works without a body, too
	ifMatch      bool     // takes If-Match
	plain        bool     // out is the whole answer, without the envelope
	files        []string // media types beside JSON that the answer may have
	// readScope lets a read-only token call it although it is not a GET.
	readScope bool
	// passwordDue lets a session call it that has to change its password first.
	passwordDue bool
}

// patterns are the ServeMux patterns of the route.
func (rt route) patterns() []string {
	base := strings.TrimSuffix(rt.path, "/")
	if strings.HasSuffix(base, "...}") { // takes whatever follows, slashes included
		return []string{rt.method + " " + base}
	}
	return []string{rt.method + " " + base, rt.method + " " + base + "/{$}"}
}

// typeOf names a body or data type in the table.
func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// table is every route there is.
func (s *Server) table() []route {
	return slices.Concat(
		s.openAPIRoutes(),
		s.selfRoutes(),
		s.sessionRoutes(),
		s.secondFactorRoutes(),
		s.passkeyRoutes(),
		s.identityRoutes(),
		s.loginProviderRoutes(),
		s.accessTokenRoutes(),
		s.userRoutes(),
		s.keyRoutes(),
		s.verifyRoutes(),
		s.explainRoutes(),
		s.keySelfRoutes(),
		s.optionRoutes(),
		s.auditRoutes(),
		s.ledgerRoutes(),
		s.logRoutes(),
		s.dataRoutes(),
		s.statusRoutes(),
		s.systemRoutes(),
		s.channelRoutes(),
		s.channelActionRoutes(),
		s.groupRoutes(),
		s.priceRoutes(),
		s.modelRoutes(),
	)
}
