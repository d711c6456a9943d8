terraform {
  required_version = ">= 1.9" # a validation may look at other variables

  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.56" # the first with `location` for addresses
    }
  }
}
