variable "package" {
  description = "What to install: a URL of a wheel, a pip requirement (fastbroker==0.1.0), or the path of a wheel or checkout on the host."
  type        = string

  validation {
    # It becomes one argument of the installer; quotes, blanks and $ have no place in any of these.
    condition     = can(regex("^[A-Za-z0-9/][A-Za-z0-9._~:/?#@!+,=<>&%-]*$", var.package))
    error_message = "package is not a URL, a pip requirement or an absolute path: it must be one word of letters, digits and ._~:/?#@!+,=<>&%- (write fastbroker==0.1.0, not \"fastbroker == 0.1.0\")."
  }
}

variable "node_id" {
  description = "Kafka's node.id of this host, 1..999; worker i is broker node_id + 1000 * i."
  type        = number

  validation {
    condition     = var.node_id == floor(var.node_id) && var.node_id >= 1 && var.node_id <= 999
    error_message = "node_id must be a whole number within 1..999: number the hosts from 1."
  }
}

variable "advertised_host" {
  description = "Name or IPv4 address by which clients reach this host; what advertised.listeners tells them."
  type        = string

  validation {
    condition = length(var.advertised_host) <= 253 && can(regex(
      "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
      var.advertised_host
    ))
    error_message = "advertised_host must be a host name or an IPv4 address without a port, such as broker-1.example.com: clients get exactly this text."
  }
}

variable "workers" {
  description = "Worker processes; worker i listens on port + i. One a core is the right number."
  type        = number

  validation {
    condition     = var.workers == floor(var.workers) && var.workers >= 1 && var.workers <= 256
    error_message = "workers must be a whole number within 1..256: ports and firewalls are derived from it, so it cannot be left to the host."
  }
}

variable "port" {
  description = "Port of the first worker."
  type        = number
  default     = 9092

  validation {
    condition     = var.port == floor(var.port) && var.port >= 1024 && var.port + var.workers - 1 <= 65535
    error_message = "port must be a whole number from 1024, and port + workers - 1 at most 65535: choose a lower port or fewer workers."
  }
}

variable "rack" {
  description = "Failure domain of this host (zone, location, rack): broker.rack. null: none."
  type        = string
  default     = null

  validation {
    condition     = var.rack == null || can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", var.rack))
    error_message = "rack must be at most 63 letters, digits, dots, dashes and underscores, such as eu-central-1a."
  }
}

variable "metrics_listener" {
  description = "HOST:PORT (IPv4) where /metrics of this host is served to Prometheus. null: nowhere."
  type        = string
  default     = "127.0.0.1:9404"

  validation {
    condition = var.metrics_listener == null || (
      can(regex("^[0-9]+(\\.[0-9]+){3}:[0-9]{1,5}$", var.metrics_listener)) &&
      can(cidrhost("${split(":", var.metrics_listener)[0]}/32", 0)) &&
      try(tonumber(split(":", var.metrics_listener)[1]) <= 65535, false)
    )
    error_message = "metrics_listener must be an IPv4 address and a port, such as 127.0.0.1:9404 (this host alone) or 0.0.0.0:9404 (every interface; let a firewall say who)."
  }

  validation {
    condition = var.metrics_listener == null || !try(
      tonumber(split(":", var.metrics_listener)[1]) >= var.port &&
      tonumber(split(":", var.metrics_listener)[1]) < var.port + var.workers,
      false
    )
    error_message = "The port of metrics_listener is among the workers' ports, port..port + workers - 1: choose another one."
  }
}

variable "data_device" {
  description = "Block device for the data, by a name that stays (/dev/disk/by-id/...). Formatted only when blank, mounted at /var/lib/fastbroker. null: data lies on the root disk."
  type        = string
  default     = null

  validation {
    condition     = var.data_device == null || can(regex("^/dev/[A-Za-z0-9/._:+-]+$", var.data_device))
    error_message = "data_device must be the path of a block device, such as /dev/disk/by-id/scsi-0HC_Volume_1234."
  }
}

variable "properties" {
  description = "More lines for server.properties by Kafka's names, such as {\"log.retention.hours\" = \"24\"}. Not checked against the broker's keys here: an unknown key stops the start and is named in the journal."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.properties) : can(regex("^[A-Za-z][A-Za-z0-9._-]{0,127}$", key))])
    error_message = "A key of properties is not of the form num.partitions: letters, digits, dots, dashes and underscores only."
  }

  validation {
    condition = alltrue([
      for value in values(var.properties) :
      value == null ? false : length(value) <= 4096 && can(regex("^([!-~]([ -~]*[!-~])?)?$", value))
    ])
    error_message = "A value of properties is not printable ASCII on one line, at most 4096 characters, without blanks around it: a line break in it would be another setting."
  }

  validation {
    condition = length(setintersection(keys(var.properties), [
      "advertised.listeners", "broker.id", "broker.rack", "fastbroker.metrics.listener",
      "fastbroker.workers", "listeners", "log.dir", "log.dirs", "node.id",
    ])) == 0
    error_message = "properties may not set node.id, broker.id, broker.rack, listeners, advertised.listeners, fastbroker.workers, fastbroker.metrics.listener, log.dir or log.dirs: they follow from the module's other variables, which the firewall and the outputs follow, too."
  }
}
