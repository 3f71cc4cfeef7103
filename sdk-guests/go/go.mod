module github.com/aleph-edge/aleph-edge/sdk-guests/go

go 1.25
