package slacklocal

import "github.com/gorilla/mux"

func (w *Workspace) routePages(*mux.Router) {}
