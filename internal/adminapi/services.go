package adminapi

import (
	"halley/internal/account"
	"halley/internal/audit"
	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/key"
	"halley/internal/option"
	"halley/internal/price"
	"halley/internal/reconcile"
	"halley/internal/usage"
)

// Services are the domains the API speaks for; each resource's file says which
// it uses.
type Services struct {
	Accounts      *account.Service
	Audit         *audit.Service
	Balances      Balances
	Books         *reconcile.Service
	Channels      *channel.Service
	ChannelTester ChannelTester
	ChannelHealth ChannelHealth
	ChannelChecks ChannelChecks
	DailyUsage    DailyUsage
	Groups        *group.Service
	Keys          *key.Service
	KeyHolders    KeyHolders
	KeyVerifier   KeyVerifier
	Options       *option.Service
	Prices        *price.Service
	// Snapshot is the configuration that model requests follow now.
	Snapshot       func() *gateway.Snapshot
	Status         Status
	System         System
	UpstreamModels UpstreamModels
	Usage          *usage.Queries
}
