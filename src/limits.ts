/** Every limit of the daemon in one table; the unit stands in the name. */
export const limits = {
  // wire
  dhcpPacketBytes: 1500,
  tftpRequestBytes: 512,
  // dhcp
  dhcpOffersMax: 4096,
  dhcpOfferHoldMs: 30_000,
  dhcpLeaseSeconds: 3600,
  dhcpUnknownClientsMax: 4096,
  dhcpQuarantineMs: 10 * 60_000,
  dhcpPendingMax: 1024,
  /** The kernel keeps so much for us while we are busy: a rack that powers on at once. */
  dhcpReceiveBytes: 1024 * 1024,
  /** How often we look for other DHCP servers; 0 is never. */
  dhcpProbeMs: 5 * 60_000,
  dhcpOthersMax: 64,
  /** Another DHCP server is told of for so long after it was heard last. */
  dhcpOtherMs: 60 * 60_000,
  dhcpOtherLogMs: 60 * 60_000,
  loggedPeersMax: 256,
  // tftp
  tftpSessionsMax: 256,
  tftpSessionsPerClientMax: 4,
  tftpBlockBytesMax: 65_464,
  tftpWindowBlocksMax: 64,
  tftpFileBytesMax: 64 * 1024 * 1024,
  tftpTimeoutMs: 1_000,
  tftpTimeoutMsMax: 10_000,
  tftpTries: 6,
  // http
  httpBodyBytes: 1024 * 1024,
  httpHeaderTimeoutMs: 10_000,
  httpRequestTimeoutMs: 60_000,
  httpConnectionsMax: 1024,
  userDataBytes: 512 * 1024,
  metaDataBytes: 64 * 1024,
  // bmc
  bmcTimeoutMs: 10_000,
  bmcReplyBytes: 1024 * 1024,
  // A password that was refused is not tried again for so long, doubled each time: BMCs lock an account after three to five attempts.
  bmcLoginPauseMs: 5 * 60_000,
  bmcLoginPauseMostMs: 60 * 60_000,
  ipmiResendFirstMs: 1_000,
  ipmiResendMostMs: 4_000,
  // A BMC ends a silent session after 60 s by itself, and has few of them.
  ipmiIdleMs: 30_000,
  ipmiFruBytes: 4_096,
  // boot
  bootTicketMs: 30 * 60_000,
  agentPollMs: 10_000,
  agentAliveMs: 30_000,
  agentGrantSeconds: 20,
  // plan: how long each phase of a boot may take before it is tried again
  powerStepMs: 60_000,
  firstPacketMs: 10 * 60_000,
  agentArrivesMs: 15 * 60_000,
  jobSilenceMs: 2 * 60_000,
  phoneHomeMs: 10 * 60_000,
  parkMs: 10 * 60_000,
  stepTries: 3,
  retryFirstMs: 2_000,
  retryMostMs: 60_000,
  // identity: MACs that a host may have, that may wait to be confirmed, that are remembered after they went
  hostMacsMax: 64,
  macProposalsMax: 8,
  macAskAgainMs: 10 * 60_000,
  retiredMacsMax: 32,
  // claims
  claimWaitSecondsMax: 600,
  claimLookMs: 250,
  claimsWaitingMax: 64,
  claimTries: 64,
  provisionTimeoutSecondsMax: 7 * 24 * 3600,
  enrolmentHostsMax: 2_000,
  enrolmentBytes: 8 * 1024 * 1024,
  reserveSecondsMax: 7 * 24 * 3600,
  // the Cluster API provider
  /** A watch that says nothing for so long, bookmarks included, is begun anew. */
  kubeWatchSilenceMs: 90_000,
  kubeCallMs: 30_000,
  kubeReplyBytes: 64 * 1024 * 1024,
  kubeBackoffFirstMs: 500,
  kubeBackoffMostMs: 60_000,
  kubeResyncMs: 10 * 60_000,
  kubeWorkers: 8,
  kubeLeaseMs: 15_000,
  kubeLeaseRenewMs: 2_000,
  kubeLeaseLostMs: 10_000,
  kubeEventsMax: 1_024,
  /** What no watch tells (an address, a Secret, the power of a host) is looked at so often. */
  kubeLookAgainMs: 10_000,
  /** What comes in the same `kubectl apply` is looked for again so soon. */
  kubeSoonMs: 1_000,
  /** A condition whose message alone changed, and facts beside it, are written no more often than this. */
  kubeQuietMs: 30_000,
  /** One host of the mirror is written no more often than this. */
  kubeMirrorMs: 20_000,
  /** A released host that was not seen off by then is told of as `OffNotVerified`. */
  kubeOffVerifiedMs: 5 * 60_000,
  /** Of the requests that Cluster API's hooks bring: six objects of at most 1.5 MiB. */
  kubeHookBytes: 10 * 1024 * 1024,
  /** A hook answers by then, and goes on behind it. */
  kubeHookMs: 8_000,
  kubeHookRetrySeconds: 15,
  /** A join token of ours lives so long, and is renewed at half of it while its host is on the way. */
  kubeTokenMs: 2 * 3600_000,
  /** Workload clusters whose connections are kept. */
  kubeClustersMax: 256,
  /** Pods that one step of a drain evicts. */
  kubeEvictionsMax: 64,
  /** A pod of a Node that is out of reach holds up a drain for so long after its deletion. */
  kubeUnreachablePodMs: 5 * 60_000,
  /** A remediation that is over tries so long to take away what it left in the workload cluster. */
  kubeTidyMs: 60_000,
  // loops
  resyncMs: 60_000,
  reconcileMs: 90_000,
  // timeline
  timelineEntriesPerHost: 2_000,
  timelineBatchMs: 500,
  timelinePendingMax: 1_000,
  timelineAnswerMax: 1_000,
  timelineWaitMs: 30_000,
  // api
  apiRequestsPerSecond: 50,
  apiRequestsBurst: 300,
  apiRefusalsPerMinute: 10,
  apiRefusalsBurst: 20,
  apiPeersMax: 4096,
  apiHeldMax: 128,
  apiHeldPerCallerMax: 16,
  apiPageMax: 1_000,
  apiEventsBacklogMax: 2_000,
  apiHeartbeatMs: 15_000,
  tokensMax: 1_000,
  auditEntries: 200_000,
  auditRefusalsPerMinute: 1,
  auditRefusalsBurst: 20,
  // store
  storeBusyMs: 1_000,
  storeBytesMax: 16 * 1024 ** 3,
  // image
  chunkBytes: 4 * 1024 * 1024,
  imageBytesMax: 64 * 1024 ** 3,
  seedBytesMax: 16 * 1024 * 1024,
  /** A packed image may unpack to so many times its size. */
  imageRatioMax: 10_000,
  imageSilenceMs: 30_000,
  /** Connections of one download that brought less than a piece each. */
  imageTries: 6,
  imageRedirects: 5,
} as const;

export type Limits = { readonly [K in keyof typeof limits]: number };
