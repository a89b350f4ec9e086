package adminapi

// Services are the domains the API speaks for; each resource's file says which
// it uses.
type Services struct {
}
