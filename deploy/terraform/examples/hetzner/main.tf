# Three hosts in three locations. Copy this folder, change what is yours, then:
#
#   export HCLOUD_TOKEN=...
#   terraform init && terraform apply

terraform {
  required_version = ">= 1.9"

  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.56"
    }
  }
}

provider "hcloud" {} # reads HCLOUD_TOKEN

variable "package" {
  description = "URL of a wheel, or a pip requirement."
  type        = string
}

variable "client_cidrs" {
  description = "Who may reach the brokers."
  type        = set(string)
}

module "fastbroker" {
  source = "../../modules/hcloud"

  package      = var.package
  client_cidrs = var.client_cidrs

  hosts         = 3
  locations     = ["fsn1", "nbg1", "hel1"]
  server_type   = "cpx22"
  data_disk_gib = 50

  properties = {
    "num.partitions"      = "6"
    "log.retention.hours" = "72"
  }
}

# One entry a broker: give a client one of them.
output "bootstrap_servers" {
  value = module.fastbroker.bootstrap_servers
}

output "hosts" {
  value = module.fastbroker.hosts
}
