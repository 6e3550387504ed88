/** Images on the screen: the list, one image, and what a verification found. */
import type { CollectJson, ImageDetailJson, ImageJson, VerifyJson } from '../api/types.ts';
import type { Look } from './host-view.ts';
import { ageText, plainText, plural, sizeText } from './human.ts';
import { renderDetails, renderTable } from './table.ts';
import type { Cell } from './table.ts';

const firmwareText = (image: ImageJson): string => (image.firmware.length === 0 ? 'none found' : image.firmware.join('+'));

export const renderImages = (images: readonly ImageJson[], { style, now }: Look): string =>
  images.length === 0
    ? 'No images yet. Bring one in by: remuda image import FILE --name NAME\n'
    : renderTable(
        ['name', 'digest', 'size', 'stored', 'firmware', 'seed', 'phone home', 'signed by', 'imported'],
        images.map((image): Cell[] => [
          image.name,
          image.digest.slice(0, 19),
          sizeText(image.sizeBytes),
          sizeText(image.storedBytes),
          firmwareText(image),
          image.seed === null ? 'no' : 'yes',
          image.phoneHome,
          image.refused === null ? image.signedBy.join(', ') || '-' : `refused: ${image.refused.code}`,
          ageText(image.importedAt, now),
        ]),
        style,
      );

export const renderImage = (image: ImageDetailJson, { style, now }: Look): string =>
  `${style('bold', plainText(image.name))}\n${renderDetails(
    [
      ['digest', image.digest],
      ['size', `${sizeText(image.sizeBytes)} (${image.sizeBytes} bytes)`],
      ['stored', sizeText(image.storedBytes)],
      ['chunks', `${plural(image.chunks, 'chunk')} of ${sizeText(image.chunkBytes)}, ${image.zeroChunks} of them zeros`],
      ['boots by', `${firmwareText(image)}, ${image.arch}`],
      ['seed', image.seed === null ? 'no partition for user data' : `${sizeText(image.seed.sizeBytes)} at byte ${image.seed.offsetBytes}`],
      ['phone home', image.phoneHome],
      ['signed by', image.signedBy.join(', ') || 'no key that is trusted here'],
      ...(image.refused === null ? [] : [['refused', plainText(image.refused.reason)] as const]),
      ['imported', ageText(image.importedAt, now)],
    ],
    style,
  )}`;

export const renderCollected = ({ dryRun, images, files, bytes }: CollectJson): string =>
  images.map(({ digest, sizeBytes }) => `${dryRun ? 'would remove' : 'removed'} image ${digest}, ${sizeText(sizeBytes)}\n`).join('') +
  `${plural(images.length, 'image')} and ${plural(files, 'file')}, ${sizeText(bytes)}, ${dryRun ? 'would go' : 'are gone'}\n`;

export const renderVerify = (report: VerifyJson, { style }: Look): string => {
  if (report.ok) return `${style('good', 'sound')}: ${plural(report.chunks, 'chunk')}, ${sizeText(report.sizeBytes)}, ${report.digest}\n`;
  const faults = report.faults
    .slice(0, 20)
    .map((fault) => `  chunk ${fault.index} at byte ${fault.offsetBytes}: ${plainText(fault.reason)}\n`);
  const more = report.faults.length > 20 ? `  and ${report.faults.length - 20} more\n` : '';
  return `${style('bad', 'damaged')}: ${plural(report.faults.length, 'fault')} in ${report.digest}\n${faults.join('')}${more}`;
};
