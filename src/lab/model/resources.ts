/** The resources of a virtual BMC as the DMTF schemas have them (DSP0268); pure functions of what the BMC knows. */
import type { HostControl } from './host-control.ts';
import { bootEnabled, bootTargets, resetTypes } from './host-control.ts';
import type { Machine } from './machine.ts';
import type { BmcQuirks } from './quirks.ts';
import type { Session } from './sessions.ts';
import { sessionTimeoutSeconds } from './sessions.ts';

export type Resource = Readonly<Record<string, unknown>>;
export interface View {
  readonly name: string;
  readonly machine: Machine;
  readonly control: HostControl;
  readonly quirks: BmcQuirks;
}

export const root = '/redfish/v1';
export const paths = {
  systems: `${root}/Systems`,
  system: `${root}/Systems/1`,
  settings: `${root}/Systems/1/Settings`,
  reset: `${root}/Systems/1/Actions/ComputerSystem.Reset`,
  ports: `${root}/Systems/1/EthernetInterfaces`,
  managers: `${root}/Managers`,
  manager: `${root}/Managers/1`,
  chassisAll: `${root}/Chassis`,
  chassis: `${root}/Chassis/1`,
  sessionService: `${root}/SessionService`,
  sessions: `${root}/SessionService/Sessions`,
  accountService: `${root}/AccountService`,
  accounts: `${root}/AccountService/Accounts`,
  account: `${root}/AccountService/Accounts/1`,
  roles: `${root}/AccountService/Roles`,
} as const;

const link = (path: string): { readonly '@odata.id': string } => ({ '@odata.id': path });
const healthy = { State: 'Enabled', Health: 'OK' } as const;
const maker = 'Remuda';

interface Head {
  readonly path: string;
  /** `ComputerSystem.v1_22_0` */
  readonly type: string;
  readonly name: string;
}
const resource = ({ path, type, name }: Head, body: Resource): Resource => ({
  '@odata.id': path,
  '@odata.type': `#${type}.${type.split('.')[0]}`,
  Id: path.split('/').at(-1),
  Name: name,
  ...body,
});

/** A collection of `kind`, such as `ComputerSystem` (DSP0266 §9.3 "Resource collections"). */
export const collection = (path: string, kind: string, members: readonly string[]): Resource => ({
  '@odata.id': path,
  '@odata.type': `#${kind}Collection.${kind}Collection`,
  Name: `${kind} Collection`,
  Members: members.map(link),
  'Members@odata.count': members.length,
});

export const serviceRoot = ({ name, quirks }: View): Resource => ({
  ...resource(
    { path: `${root}/`, type: 'ServiceRoot.v1_15_0', name },
    {
      RedfishVersion: '1.18.0',
      Vendor: maker,
      Product: 'Remuda virtual BMC',
      Systems: link(paths.systems),
      Managers: link(paths.managers),
      Chassis: link(paths.chassisAll),
      AccountService: link(paths.accountService),
      ...(quirks.noSessionService ? {} : { SessionService: link(paths.sessionService) }),
      Links: quirks.noSessionService ? {} : { Sessions: link(paths.sessions) },
    },
  ),
  Id: 'RootService',
});

const modeOf = (machine: Machine): 'Legacy' | 'UEFI' => (machine.firmware === 'uefi' ? 'UEFI' : 'Legacy');

/** The mode is that of the machine's firmware and permits no other: virtual hardware has one firmware, chosen when it is made. */
const bootOf = ({ control, machine, quirks }: View): Resource => ({
  BootSourceOverrideTarget: control.override.target,
  'BootSourceOverrideTarget@Redfish.AllowableValues': bootTargets,
  BootSourceOverrideEnabled: control.override.enabled,
  'BootSourceOverrideEnabled@Redfish.AllowableValues': bootEnabled,
  ...(quirks.noBootMode
    ? {}
    : { BootSourceOverrideMode: control.override.mode, 'BootSourceOverrideMode@Redfish.AllowableValues': [modeOf(machine)] }),
});

const settingsOf = (quirks: BmcQuirks): Resource =>
  quirks.bootInSettings
    ? { '@Redfish.Settings': { '@odata.type': '#Settings.v1_3_5.Settings', SettingsObject: link(paths.settings) } }
    : {};

export const system = (view: View): Resource => {
  const { control, machine, name, quirks } = view;
  return resource(
    { path: paths.system, type: 'ComputerSystem.v1_22_0', name },
    {
      SystemType: 'Physical',
      Manufacturer: maker,
      Model: 'Virtual host',
      SerialNumber: machine.serial,
      UUID: machine.uuid,
      HostName: name,
      PowerState: control.power,
      Status: { State: control.power === 'On' ? 'Enabled' : 'StandbyOffline', Health: 'OK' },
      // As on iDRAC10: the properties are there, their values only in the settings.
      Boot: quirks.bootInSettings ? { BootSourceOverrideEnabled: null, BootSourceOverrideTarget: null } : bootOf(view),
      ...settingsOf(quirks),
      ProcessorSummary: { Count: 1, CoreCount: machine.cpus, LogicalProcessorCount: machine.cpus },
      MemorySummary: { TotalSystemMemoryGiB: machine.memoryMiB / 1024 },
      EthernetInterfaces: link(paths.ports),
      Links: { Chassis: [link(paths.chassis)], ManagedBy: [link(paths.manager)] },
      Actions: { '#ComputerSystem.Reset': { target: paths.reset, 'ResetType@Redfish.AllowableValues': resetTypes } },
    },
  );
};

/** The settings resource of the system, where the quirk `bootInSettings` wants its changes. */
export const systemSettings = (view: View): Resource =>
  resource({ path: paths.settings, type: 'ComputerSystem.v1_22_0', name: `${view.name} pending settings` }, { Boot: bootOf(view) });

/** `NIC1`, `NIC2`, … in the order of the machine's addresses. */
export const portIds = (machine: Machine): readonly string[] => machine.macs.map((_, at) => `NIC${at + 1}`);

/** undefined where the machine has no such port. */
export const port = ({ machine }: View, id: string): Resource | undefined => {
  const mac = machine.macs[portIds(machine).indexOf(id)];
  return mac === undefined
    ? undefined
    : resource(
        { path: `${paths.ports}/${id}`, type: 'EthernetInterface.v1_12_0', name: `Port ${id}` },
        { MACAddress: mac, PermanentMACAddress: mac, InterfaceEnabled: true, Status: healthy },
      );
};

export const manager = ({ name }: View): Resource =>
  resource(
    { path: paths.manager, type: 'Manager.v1_19_0', name: `BMC of ${name}` },
    {
      ManagerType: 'BMC',
      Manufacturer: maker,
      Model: 'Virtual BMC',
      FirmwareVersion: '1.0.0',
      PowerState: 'On',
      Status: healthy,
      Links: { ManagerForServers: [link(paths.system)], ManagerForChassis: [link(paths.chassis)], ManagerInChassis: link(paths.chassis) },
    },
  );

export const chassis = ({ control, machine, name }: View): Resource =>
  resource(
    { path: paths.chassis, type: 'Chassis.v1_25_0', name: `Chassis of ${name}` },
    {
      ChassisType: 'RackMount',
      Manufacturer: maker,
      Model: 'Virtual host',
      SerialNumber: machine.serial,
      PowerState: control.power,
      Status: healthy,
      Links: { ComputerSystems: [link(paths.system)], ManagedBy: [link(paths.manager)], ManagersInChassis: [link(paths.manager)] },
    },
  );

export const sessionService = (): Resource =>
  resource(
    { path: paths.sessionService, type: 'SessionService.v1_1_9', name: 'Session Service' },
    { ServiceEnabled: true, SessionTimeout: sessionTimeoutSeconds, Status: healthy, Sessions: link(paths.sessions) },
  );

export const session = (open: Session): Resource =>
  resource(
    { path: `${paths.sessions}/${open.id}`, type: 'Session.v1_7_0', name: `Session ${open.id}` },
    // Password is in the schema and always null (DSP0266 §13.3.4.2).
    { UserName: open.username, Password: null, CreatedTime: new Date(open.openedAt).toISOString().replace(/\.\d+Z$/, 'Z') },
  );

export const accountService = (): Resource =>
  resource(
    { path: paths.accountService, type: 'AccountService.v1_15_0', name: 'Account Service' },
    { ServiceEnabled: true, Status: healthy, Accounts: link(paths.accounts), Roles: link(paths.roles) },
  );

export const account = (username: string): Resource =>
  resource(
    { path: paths.account, type: 'ManagerAccount.v1_12_0', name: 'Administrator account' },
    {
      UserName: username,
      Password: null,
      RoleId: 'Administrator',
      AccountTypes: ['Redfish'],
      Enabled: true,
      Locked: false,
      Links: { Role: link(`${paths.roles}/Administrator`) },
    },
  );

/** The roles that every service has, and what each may do (DSP0266 §13.4.2 "Roles"). */
const privileges: Readonly<Record<string, readonly string[]>> = {
  Administrator: ['Login', 'ConfigureManager', 'ConfigureUsers', 'ConfigureSelf', 'ConfigureComponents'],
  Operator: ['Login', 'ConfigureComponents', 'ConfigureSelf'],
  ReadOnly: ['Login', 'ConfigureSelf'],
};
export const roleIds: readonly string[] = Object.keys(privileges);

/** undefined where there is no such role. */
export const role = (id: string): Resource | undefined =>
  privileges[id] === undefined
    ? undefined
    : resource(
        { path: `${paths.roles}/${id}`, type: 'Role.v1_3_2', name: id },
        { RoleId: id, IsPredefined: true, AssignedPrivileges: privileges[id] },
      );

/** Where Redfish begins (DSP0266 §6.5.2 "Redfish version"). */
export const versions: Resource = { v1: `${root}/` };

/** The OData service document (DSP0266 §8.4.3). */
export const odata: Resource = {
  '@odata.context': `${root}/$metadata`,
  value: [
    { name: 'Service', kind: 'Singleton', url: `${root}/` },
    ...(['Systems', 'Managers', 'Chassis', 'SessionService', 'AccountService'] as const).map((name) => ({
      name,
      kind: 'Singleton',
      url: `${root}/${name}`,
    })),
  ],
};

const schemas: Readonly<Record<string, string>> = {
  ServiceRoot: 'v1_15_0',
  ComputerSystem: 'v1_22_0',
  EthernetInterface: 'v1_12_0',
  Manager: 'v1_19_0',
  Chassis: 'v1_25_0',
  SessionService: 'v1_1_9',
  Session: 'v1_7_0',
  AccountService: 'v1_15_0',
  ManagerAccount: 'v1_12_0',
  Role: 'v1_3_2',
  Settings: 'v1_3_5',
  Message: 'v1_1_2',
};
const collections = ['ComputerSystem', 'EthernetInterface', 'Manager', 'Chassis', 'Session', 'ManagerAccount', 'Role'] as const;
const include = (namespace: string, alias = ''): string => `<edmx:Include Namespace="${namespace}"${alias}/>`;
const reference = (file: string, includes: string): string =>
  `  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/${file}_v1.xml">${includes}</edmx:Reference>`;

/** The OData metadata document: which schemas are spoken (DSP0266 §8.4.2). */
export const metadata: string = [
  '<?xml version="1.0" encoding="UTF-8"?>',
  '<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">',
  ...Object.entries(schemas).map(([name, version]) => reference(name, include(name) + include(`${name}.${version}`))),
  ...collections.map((name) => reference(`${name}Collection`, include(`${name}Collection`))),
  reference('RedfishExtensions', include('RedfishExtensions.v1_0_0', ' Alias="Redfish"')),
  '  <edmx:DataServices>',
  '    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">',
  '      <EntityContainer Name="Service" Extends="ServiceRoot.v1_15_0.ServiceContainer"/>',
  '    </Schema>',
  '  </edmx:DataServices>',
  '</edmx:Edmx>',
].join('\n');
