package api

import (
	"io/fs"
	"net/http"
	"path"

	"github.com/gorilla/mux"
)

// built holds what scripts/dashboard.sh makes of the sources in dashboard/.
const built = "pages/dashboard"

// kinds are told here and not by the machine, whose own table may be wrong: browsers take no script of another type.
var kinds = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

// serveDashboard serves the dashboard to everybody: it is the same for all, and what it shows it asks for with the
// credentials of its reader. Its pages are told apart behind the # of the address, so that a path that does not
// exist stays a problem.
func serveDashboard(router *mux.Router) {
	page, err := pages.ReadFile(built + "/index.html")
	if err != nil {
		panic(err) // embedded when this is compiled
	}
	router.Path("/").Methods(http.MethodGet, http.MethodHead).Handler(static(page, "text/html; charset=utf-8"))
	assets, err := fs.Glob(pages, built+"/assets/*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range assets {
		content, err := pages.ReadFile(file)
		if err != nil {
			panic(err) // embedded when this is compiled
		}
		asset := static(content, kinds[path.Ext(file)])
		router.Path("/assets/"+path.Base(file)).Methods(http.MethodGet, http.MethodHead).Handler(lasting(asset))
	}
}

// lasting lets browsers keep what they got: the name of each asset holds the hash of its content.
func lasting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		next.ServeHTTP(w, r)
	})
}
