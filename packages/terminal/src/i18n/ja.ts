// Japanese message catalogue of the terminal client.

import type { SystemNote } from '@engawa/chat-view';
import type { ConnectionErrorCode, ErrorInfo } from '@engawa/client';
import { CHAT_TEXT } from '@engawa/protocol/text';
import { isToday } from './days.ts';
import type { en } from './en.ts';

const day = new Intl.DateTimeFormat('ja', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const shortDay = new Intl.DateTimeFormat('ja', { day: 'numeric', month: 'short' });
const MAX_NAMES = 3;
const formatCount = (count: number): string => count.toLocaleString('ja');

function joinNames(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).map((name) => `${name} さん`);
  const rest = names.length - shown.length;
  return rest > 0 ? `${shown.join('、')}、ほか ${rest} 人` : shown.join('、');
}

function describeNotes(all: readonly SystemNote[], safe: (text: string) => string): string[] {
  const usernamesOf = (kind: SystemNote['kind']) => [
    ...new Set(all.filter((note) => note.kind === kind).map(({ username }) => safe(username))),
  ];
  const phrase = (kind: SystemNote['kind'], what: string) =>
    usernamesOf(kind).length > 0 ? [`${joinNames(usernamesOf(kind))}が${what}`] : [];
  const removed = all
    .filter(({ kind }) => kind === 'removed')
    .map(({ by, username }) => `${safe(by)} さんが ${safe(username)} さんを退室させました`);
  const topics = all.filter(({ kind }) => kind === 'topic').slice(-1);
  const topic = topics.map(({ by, topic = '' }) =>
    topic === '' ? `${safe(by)} さんが話題を消しました` : `${safe(by)} さんが話題を決めました: ${safe(topic)}`,
  );
  const line = [
    ...phrase('joined', '入室しました'),
    ...phrase('left', '退室しました'),
    ...phrase('timed_out', '席を離れました'),
    ...removed,
    ...topic,
  ].join(' · ');
  return line === '' ? [] : [line];
}

/** Error messages of a server are in English. */
const refusals: Partial<Record<ErrorInfo['code'], string>> = {
  room_not_found: '部屋がありません。',
  room_exists: '部屋はもうあります。',
  name_taken: 'その名前は使われています。',
  name_confusable: 'その名前はほかの人の名前と見分けがつきません。',
  room_confusable: 'その部屋の名前はほかの部屋と見分けがつきません。',
  not_a_member: 'この部屋に入っていません。',
  not_allowed: 'それは許されていません。',
  chat_not_found: 'その発言はもうありません。',
  too_many_rooms: '部屋が多すぎます。',
  too_many_refusals: '断られた要求が続いたため、接続が切られました。',
  too_many_names: 'この部屋に持てる名前の数を超えています。',
  too_many_reactions: 'リアクションの種類が多すぎます。',
  invalid_payload: '内容が正しくありません。',
  removed: 'この部屋から退室させられました。',
  closed: '答えの前に閉じられました。',
  room_replaced: '書いた部屋はもうありません。同じ ID の別の部屋です。',
};

/** Advice for each connection error. */
const connectionAdvice: Record<ConnectionErrorCode, string> = {
  invalid_url: 'アドレスは http:// か https:// で始まります。',
  unreachable: 'サーバーが動いているか、アドレスが正しいか確かめてください。',
  websocket_failed: 'WebSocket が通らないため、ポーリングで接続します。',
  tls_failed: '証明書を確かめるか、その認証局を NODE_EXTRA_CA_CERTS に加えてください。',
  origin_not_allowed: 'サーバーの ENGAWA_ALLOWED_ORIGINS にこのオリジンを加えてください。',
  not_a_chat_server: 'アドレスとそのパスを確かめてください。',
};

export const ja: typeof en = {
  language: 'ja',
  clock: (at) => new Date(at).toTimeString().slice(0, 5),
  day: (at) => day.format(at),
  notes: describeNotes,

  deleted: '（削除されました）',
  edited: '（編集済み）',
  unknownChat: '前の発言',
  notSent: (why) => `✗ 送れませんでした: ${why} — /retry で再送、/discard で取り消し`,
  moreBelow: '下に新しい発言があります',
  moreAbove: '上に古い発言があります',
  newChats: 'ここから新着',
  refusal: (error: ErrorInfo | undefined) => (error && refusals[error.code]) ?? error?.message ?? '断られました。',

  connectionError: ({ address, cause, code, message }) =>
    cause instanceof Error ? `${address}: ${cause.message} — ${connectionAdvice[code]}` : message,

  connecting: '接続中',
  online: '接続済み',
  reconnecting: (waiting) => `再接続中${waiting > 0 ? `、送信待ち ${waiting} 件` : ''}`,
  offlineSince: (clock, waiting) => `${clock} から切断${waiting > 0 ? `、送信待ち ${waiting} 件` : ''}`,
  catchingUp: '追いついています',
  joining: '入室中',
  closed: '終了しました',
  sending: (waiting) => `送信中 ${waiting} 件`,

  rooms: '部屋',
  membersOnline: (online, members) => (online === members ? `${members} 人` : `${members} 人中 ${online} 人が接続中`),
  unreadElsewhere: (count) => `ほかの部屋に新着 ${count} 件`,
  unreadBelow: (count) => `↓ 新着 ${count} 件 (End)`,
  newestBelow: '↓ 最新へ (End)',
  typing: (names, several) => (several || names.length > MAX_NAMES ? '何人かが入力中…' : `${joinNames(names)}が入力中…`),
  replyingTo: (name, text) => `${name} さんへの返信: ${text}`,
  editing: (text) => `編集: ${text}`,
  escape: 'Esc: やめる',
  letters: { reply: 'r 返信', edit: 'e 編集', delete: 'd 削除', react: '+ リアクション', copy: 'c コピー', jump: 'Enter 返信先へ' },
  escapeHint: 'Esc',
  selectedByMouse: '選択中: /reply /edit /delete /react /copy · Esc',
  tooSmall: '画面が小さすぎます。20 桁 5 行あれば足ります。',
  helpHint: '/help',

  placeholder: 'メッセージを入力',
  noRoom: '開いている部屋がありません。/join 部屋 で開きます。',
  chooserTitle: '部屋へ行く',
  chooserHint: '↑ ↓ で選び Enter で入室。名前の一部、または新しい部屋の名前を入力。',
  chooserEmpty: 'まだ部屋がありません。名前を入力して Enter で作ります。',
  chooserLoading: '部屋を調べています…',
  welcome: (name, server) => `あなたは ${server} の ${name} さんです（--as 名前、--server URL で変わります）。`,
  firstSteps: (hint) => [
    `1. ${hint}`,
    '2. あとは入力するだけ: Enter で送信、Tab で名前・部屋・コマンドを補完。',
    '3. /help でできることの一覧、Ctrl+C 2 回で終了。',
  ],
  roomIsOpen: '入室中',
  activityTime: (at) => (isToday(at) ? ja.clock(at) : shortDay.format(at)),
  chooserNew: (id) => `新しい部屋: ${id}`,
  members: (count) => `${count} 人`,
  nameTaken: (room, name) => `${room} では ${name} という名前は使われています。別の名前を入力して Enter。Esc でやめます。`,
  nameConfusable: (room, name) => `${room} では ${name} はほかの人の名前と見分けがつきません。別の名前を入力して Enter。Esc でやめます。`,
  namePrompt: '名前',
  roomPrompt: '部屋',
  ending: (reason, by) =>
    reason === 'removed'
      ? `${by ?? '部屋の主'} さんに退室させられました。`
      : reason === 'deleted'
        ? '部屋は削除されました。'
        : '部屋は終わりました。',
  endedHint: '/close で一覧から外し、/join で戻ります。',

  helpTitle: 'ヘルプ',
  helpCommands: 'コマンド',
  helpKeys: 'キー',
  whoTitle: (count) => `いる人: ${count} 人`,
  andMore: 'ほかにもいます',
  presence: { online: '接続中', away: '離席中', offline: '切断中' },
  owner: '部屋の主',
  panelHint: 'Esc で閉じる',
  panelScrolls: (first, last, all) => `${all} 行中 ${first}–${last} · ↑ ↓ · Esc で閉じる`,

  quitAgain: 'もう一度 Ctrl+C で終わります。部屋には入ったまま、入力も残ります。',
  historyReset: '見逃した分が多すぎるか、サーバーが末尾を失いました。最新の発言を表示します。',
  unknownCommand: (name, nearest) =>
    `/${name} というコマンドはありません。${nearest === undefined ? '' : `/${nearest} ですか? `}/ で始まる文は // で送れます。`,
  usage: (usage) => `使い方: ${usage}`,
  needsRoom: '先に部屋を開いてください: /join 部屋',
  notFound: (words) => `読み込んだ発言に「${words}」はありません。さかのぼると増えます。`,
  searchPosition: (at, all) => `${all} 件中 ${at} 件目 · ↑ 古い方へ · ↓ 新しい方へ · Esc`,
  nothingToEdit: '編集・削除できる自分の発言がありません。',
  confirmDeletion: (text) => `「${text}」を削除しますか? Enter で削除、ほかのキーでやめます。`,
  nothingSelected: '先に発言を選んでください: Alt+↑ またはクリック。',
  copied: (text) => `端末が許せばクリップボードへ: 「${text}」`,
  noClipboard: 'この端末にはクリップボードがありません。',
  nothingFailed: '送れなかったものはありません。',
  notYetSent: 'まだ入室していません。入力したものは残っています。',
  noSpace: (most) => `挿入していません: 1 行は ${formatCount(most)} 文字までです。もっと長い文は engawa send 部屋 < ファイル`,
  lengthOfLine: (length, chats) => `${formatCount(length)}/${formatCount(CHAT_TEXT.codePoints)}${chats > 1 ? ` · ${chats} 件の発言` : ''}`,
  confirmSplit: (length, chats) => `${formatCount(length)} 文字は ${chats} 件の発言になります。Enter で送信、ほかのキーで続けて入力。`,
  mustFitOneChat: (length) => `1 件の発言に収めてください: ${formatCount(length)}/${formatCount(CHAT_TEXT.codePoints)} 文字`,
  leftRoom: (room) => `${room} を退室しました。`,
  memberRemoved: (name) => `${name} さんを退室させました。`,
  actionRefused: (why) => `できませんでした: ${why}`,
  currentTopic: (topic) => (topic === '' ? '話題は決まっていません。' : `話題: ${topic}`),
  editorFailed: (command) => `エディターが失敗しました: ${command}。VISUAL か EDITOR で指定します。行は元のままです。`,
  editorTooLong: (most, path) => `1 行は ${formatCount(most)} 文字までです。書いたものは ${path} にあります。`,
  isMuted: 'ミュート中',
  muted: (room) => `${room} をミュートしました。ベルは鳴らず、自分の名前が出た発言だけを新着に数えます。/mute で戻します。`,
  unmuted: (room) => `${room} のミュートをやめました。`,
  bellSetting: (bell) =>
    ({
      all: '見ていない間、ほかの人のすべての発言でベルが鳴ります。',
      mentions: '自分の名前が出た発言でベルが鳴ります。',
      off: 'この部屋ではベルは鳴りません。',
    })[bell],
  allRead: 'すべて既読です。',
  memberList: (count, names, hasMore) => `${count} 人: ${names}${hasMore ? '、ほか' : ''}`,
  historyFailed: '今は読めません。',
  storageFailed: (why) => `入力したものはメモリーにだけ残ります: ${why}`,

  lineModeNeedsRoom: '部屋を指定してください: engawa chat 部屋',
  noConnection: '接続できません。',
  retryingConnection: (server, why) => `${server}: ${why} もう一度試します。入力したものは残ります。`,
  heading: (room, topic, members) => `${room}${topic && `: ${topic}`} — ${members} 人、/help でコマンドの一覧`,
  historyResetLine: '見逃した分が多すぎるか、サーバーが末尾を失いました。最新の発言:',
  editedTo: (name, text) => `${name} さんが編集しました: ${text}`,
  chatDeleted: (name) => `${name} さんが発言を削除しました`,
  reacted: (name, reaction) => `${name} さんのリアクション: ${reaction}`,
  changedRoom: (name) => `${name} さんが保存の設定を変えました`,
  confirmDeletionLine: (text) => `「${text}」を削除しますか? もう一度 /delete と入力すると削除します。`,
  replyLine: (name, text) => (text === undefined ? `（${name}への返信）` : `（${name} さんの「${text}」への返信）`),
  splitLine: (length, chats) => `${formatCount(length)} 文字: ${chats} 件の発言に分けて送ります`,
  notSentLine: (why, text) => `送れませんでした: ${why} (${text})`,

  commands: {
    help: 'この一覧',
    join: '部屋に入る、または新しく作る',
    leave: 'この部屋を退室する。名前はまた誰でも使える',
    close: 'この部屋を一覧から外す。部屋には入ったまま',
    rooms: 'サーバーの部屋から選ぶ',
    who: '誰がいるか',
    topic: '話題を見る、決める（部屋の主）',
    reply: '選んだ発言、またはほかの人の最新の発言に返信する',
    edit: '選んだ発言、または自分の最新の発言を書き直す',
    delete: '選んだ発言、または自分の最新の発言を、確かめてから削除する',
    react: '選んだ発言、または最新の発言に絵文字でリアクションする',
    unreact: 'リアクションを取り消す',
    copy: '選んだ発言、または最新の発言の文を端末のクリップボードへ写す',
    retry: '送れなかったものを再送する',
    discard: '送れなかったものを取り消す',
    search: '読み込んだ発言から探す。↑ と ↓ で次と前',
    remove: '部屋から退室させる（部屋の主）',
    editor: '自分のエディター（VISUAL、EDITOR）で書く。保存したものが行に入る',
    mute: 'この部屋をミュートする、やめる。ベルは鳴らず、自分の名前が出た発言だけを新着に数える',
    bell: 'この部屋で何にベルを鳴らすか: すべての発言、自分の名前が出た発言（初め）、鳴らさない',
    read: 'すべての部屋を既読にする',
    quit: '終わる。サーバーが名前を手放すまで部屋に入ったまま',
    quitLineMode: '部屋を退室する',
  },
  keys: {
    send: '送る',
    newline: '改行',
    editor: '続きを自分のエディターで書く。戻ったものを Enter で送る',
    complete: '補完: コマンド、@ の後の名前、# の後の部屋、: の後の絵文字',
    nextRoom: '次の部屋、前の部屋',
    nextUnread: '新着のある次の部屋。自分の名前が出た部屋が先',
    goToRoom: '名前の一部で部屋へ行く、入室する',
    numberedRoom: '1 番目の部屋、2 番目の部屋 …',
    scroll: 'さかのぼる、戻る。マウスホイールでも。このヘルプでは ↑ ↓ でも',
    ends: '部屋の始まり、最新',
    select: '発言を選ぶ。クリックでも',
    selected: 'Alt+↑ で選んだ発言に: 返信、編集、削除、リアクション、コピー、返信先へ',
    editLast: '空の行で: 自分の最新の発言を編集。/search の後は、ほかに見つかったもの',
    roomList: '部屋の一覧を出す、隠す',
    redraw: '画面を描き直す',
    suspend: 'バックグラウンドへ。fg で戻る',
    escape: '開いているものを閉じる、最新に戻る',
    clear: '行を消す。2 回で終わる',
    end: '空の行で: 終わる',
  },
};
