variable "package" {
  description = "What every host installs: a URL of a wheel, or a pip requirement such as fastbroker==0.1.0."
  type        = string
}

variable "client_cidrs" {
  description = "Addresses that may reach the brokers, as CIDRs. The broker has no TLS and no SASL yet: whoever can reach a port can read and write everything. [] opens nothing: with advertise = \"private\" clients come through the private network, which the cloud's firewall does not filter."
  type        = set(string)

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : can(cidrhost(cidr, 0))])
    error_message = "client_cidrs must be CIDRs, such as 203.0.113.0/24 or, for one address, 203.0.113.7/32."
  }

  validation {
    condition = var.open_to_the_world || alltrue([
      for cidr in var.client_cidrs :
      try(tonumber(split("/", cidr)[1]) >= (strcontains(cidr, ":") ? 16 : 8), true)
    ])
    error_message = "client_cidrs opens the brokers to a large part of the internet, and they have no TLS and no SASL yet: name your clients' networks, or say open_to_the_world = true as well."
  }
}

variable "open_to_the_world" {
  description = "Allows client_cidrs as wide as 0.0.0.0/0. The broker has no TLS and no SASL yet: every stranger could read, write and delete every topic."
  type        = bool
  default     = false
}

variable "name" {
  description = "Prefix of everything that is made; hosts are NAME-1, NAME-2, ..."
  type        = string
  default     = "fastbroker"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "name must be at most 40 lower-case letters, digits and dashes, beginning with a letter: it becomes part of host names."
  }
}

variable "hosts" {
  description = "How many hosts. Each is a broker of its own today, with a bootstrap_servers entry of its own; node ids 1..hosts and racks are already those of one cluster."
  type        = number
  default     = 1

  validation {
    condition     = var.hosts == floor(var.hosts) && var.hosts >= 1 && var.hosts <= 200
    error_message = "hosts must be a whole number within 1..200."
  }
}

variable "locations" {
  description = "Locations of the cloud, over which the hosts are spread in turn; a host's location is its broker.rack."
  type        = list(string)
  default     = ["fsn1"]

  validation {
    condition     = length(var.locations) >= 1 && alltrue([for one in var.locations : can(regex("^[a-z0-9-]{2,20}$", one))])
    error_message = "locations must name at least one location, such as [\"fsn1\", \"nbg1\", \"hel1\"] (hcloud location list)."
  }
}

variable "server_type" {
  description = "Type of the machines (hcloud server-type list). Its cores decide the number of workers."
  type        = string
  default     = "cpx22"

  validation {
    condition     = can(regex("^[a-z0-9-]{2,20}$", var.server_type))
    error_message = "server_type must be the name of a server type, such as cpx22 (hcloud server-type list)."
  }
}

variable "image" {
  description = "Image of the machines: Debian 12 or Ubuntu 24.04 or newer (Python 3.11)."
  type        = string
  default     = "debian-12"
}

variable "workers" {
  description = "Worker processes a host. null: one for each core of server_type. Worker i listens on port + i, and the firewall opens exactly these ports."
  type        = number
  default     = null

  validation {
    condition     = var.workers == null ? true : var.workers == floor(var.workers) && var.workers >= 1 && var.workers <= 256
    error_message = "workers must be a whole number within 1..256, or null for one a core."
  }
}

variable "port" {
  description = "Port of the first worker of every host."
  type        = number
  default     = 9092
}

variable "advertise" {
  description = "By which address clients reach the hosts: \"public\" (the host's own IPv4, which outlives the machine) or \"private\" (in private_network)."
  type        = string
  default     = "public"

  validation {
    condition     = contains(["public", "private"], var.advertise)
    error_message = "advertise must be \"public\" or \"private\"."
  }

  validation {
    condition     = var.advertise == "public" || var.private_network != null
    error_message = "advertise = \"private\" needs private_network: name the network that clients are in."
  }
}

variable "private_network" {
  description = "A network that every host joins: its id, the range of its subnet and the number of the first host's address in it. Take the id from the subnet (hcloud_network_subnet.x.network_id), so that the subnet exists first."
  type = object({
    id       = number
    ip_range = string
    first    = optional(number, 11)
  })
  default = null

  validation {
    condition = var.private_network == null ? true : (
      can(cidrhost(var.private_network.ip_range, var.private_network.first + var.hosts)) &&
      !strcontains(var.private_network.ip_range, ":") && var.private_network.first >= 2
    )
    error_message = "private_network.ip_range must be an IPv4 range with room for every host from number `first` (2 or more; the cloud keeps .1) onwards, such as 10.0.1.0/24."
  }
}

variable "data_disk_gib" {
  description = "Size of each host's data disk in GiB. It is a volume of its own: it outlives the machine."
  type        = number
  default     = 50

  validation {
    condition     = var.data_disk_gib == floor(var.data_disk_gib) && var.data_disk_gib >= 10 && var.data_disk_gib <= 10240
    error_message = "data_disk_gib must be a whole number within 10..10240, which is what the cloud makes."
  }
}

variable "protect_data" {
  description = "The cloud refuses to delete data disks and addresses, terraform destroy included, until this was applied as false."
  type        = bool
  default     = true
}

variable "metrics_cidrs" {
  description = "Addresses that may read /metrics. []: only the host itself can."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.metrics_cidrs : can(cidrhost(cidr, 0)) && try(tonumber(split("/", cidr)[1]) >= (strcontains(cidr, ":") ? 16 : 8), true)])
    error_message = "metrics_cidrs must be CIDRs no wider than /8 (IPv6: /16): name the network that your Prometheus is in. Metrics tell names of topics and groups."
  }
}

variable "metrics_port" {
  description = "Port of /metrics. null: no metrics."
  type        = number
  default     = 9404

  validation {
    condition     = var.metrics_port == null ? true : var.metrics_port == floor(var.metrics_port) && var.metrics_port >= 1024 && var.metrics_port <= 65535
    error_message = "metrics_port must be a whole number within 1024..65535, or null for no metrics."
  }
}

variable "ssh_keys" {
  description = "Names or ids of SSH keys in the cloud's project, for root. Only the first boot reads them."
  type        = list(string)
  default     = []
}

variable "ssh_cidrs" {
  description = "Addresses that may reach port 22. []: nobody."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.ssh_cidrs : can(cidrhost(cidr, 0)) && try(tonumber(split("/", cidr)[1]) >= (strcontains(cidr, ":") ? 16 : 8), true)])
    error_message = "ssh_cidrs must be CIDRs no wider than /8 (IPv6: /16), such as 203.0.113.7/32: name where you administer from."
  }
}

variable "properties" {
  description = "More lines for server.properties of every host, by Kafka's names."
  type        = map(string)
  default     = {}
}

variable "labels" {
  description = "Labels of everything that is made."
  type        = map(string)
  default     = {}
}
