# A host of any other cloud or hypervisor: only the user data, to be given to its cloud-init.
#
#   terraform init && terraform apply
#   terraform output -raw user_data > user-data
#
# A module for that cloud is these lines, with the address and the disk of its own resources, and
# its machine taking `user_data`; modules/hcloud is one.

terraform {
  required_version = ">= 1.9"
}

variable "package" {
  description = "URL of a wheel, or a pip requirement."
  type        = string
}

variable "address" {
  description = "By which clients reach the host."
  type        = string
}

variable "data_device" {
  description = "The data disk, such as /dev/vdb. null: the root disk."
  type        = string
  default     = null
}

module "host" {
  source = "../../modules/host"

  package         = var.package
  node_id         = 1
  advertised_host = var.address
  workers         = 2
  data_device     = var.data_device
}

output "user_data" {
  value = module.host.user_data
}

output "bootstrap_servers" {
  value = module.host.bootstrap_servers
}
